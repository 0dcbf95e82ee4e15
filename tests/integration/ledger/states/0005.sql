BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0005');
CREATE TABLE balancer (
	id TEXT NOT NULL, 
	pair TEXT DEFAULT '' NOT NULL, 
	body TEXT DEFAULT '' NOT NULL, 
	problem TEXT DEFAULT '' NOT NULL, 
	changed DOUBLE DEFAULT '0' NOT NULL, 
	in_force DOUBLE DEFAULT '0' NOT NULL, 
	revision BIGINT DEFAULT '0' NOT NULL, 
	gone BOOLEAN NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "balancer" VALUES('lb1','one','{"enabled":true,"flavor":{},"id":"lb1","listeners":[{"cidrs":[],"enabled":true,"id":"lb1-l","kind":"listeners","limit":-1,"name":"","pool":"lb1-p","port":80,"protocol":"TCP"}],"name":"","pools":[{"algorithm":"ROUND_ROBIN","enabled":true,"granularity":"","id":"lb1-p","kind":"pools","members":[{"address":"10.1.0.11","backup":false,"enabled":true,"id":"lb1-m1","kind":"members","monitor_address":"","monitor_port":0,"name":"","port":80,"subnet":"","weight":1}],"monitor":{"check":"TCP","delay":5,"domain":"","enabled":true,"expected":"200","fall":3,"http_version":"","id":"lb1-h","kind":"healthmonitors","method":"GET","path":"/","rise":3,"timeout":5},"name":"","persistence":0,"protocol":"TCP"}],"project":"acme","provider":"lvs","vip":{"address":"10.1.0.100","cidr":"10.1.0.0/24","gateway":"","mac":"","network":"","port":"","subnet":""},"zone":""}','',1800000000.0,1800000000.0,10,0);
CREATE TABLE balancer_standing (
	id TEXT NOT NULL, 
	kind TEXT DEFAULT '' NOT NULL, 
	balancer TEXT DEFAULT '' NOT NULL, 
	provisioning TEXT DEFAULT '' NOT NULL, 
	operating TEXT DEFAULT '' NOT NULL, 
	own BOOLEAN NOT NULL, 
	gone BOOLEAN NOT NULL, 
	revision BIGINT DEFAULT '0' NOT NULL, 
	settled BIGINT DEFAULT '0' NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "balancer_standing" VALUES('lb1-m1','members','lb1','ACTIVE','ONLINE',0,0,9,9);
INSERT INTO "balancer_standing" VALUES('lb1-h','healthmonitors','lb1','ACTIVE','ONLINE',0,0,9,9);
INSERT INTO "balancer_standing" VALUES('lb1','loadbalancers','lb1','PENDING','ONLINE',0,0,9,9);
INSERT INTO "balancer_standing" VALUES('lb1-p','pools','lb1','PENDING','ONLINE',0,0,9,9);
INSERT INTO "balancer_standing" VALUES('lb1-l','listeners','lb1','PENDING','ONLINE',0,0,9,9);
INSERT INTO "balancer_standing" VALUES('lb1-m2','members','lb1','PENDING','ONLINE',1,1,9,9);
CREATE TABLE balancer_total (
	device TEXT NOT NULL, 
	listener TEXT NOT NULL, 
	base TEXT DEFAULT '' NOT NULL, 
	last TEXT DEFAULT '' NOT NULL, 
	PRIMARY KEY (device, listener)
);
INSERT INTO "balancer_total" VALUES('d1','lb1-l','{"active":0,"bytes_in":0,"bytes_out":0,"errors":0,"listener":"lb1-l","total":0}','{"active":1,"bytes_in":3,"bytes_out":0,"errors":0,"listener":"lb1-l","total":2}');
CREATE TABLE change (
	number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	rollout BIGINT DEFAULT '0' NOT NULL, 
	switch TEXT DEFAULT '' NOT NULL, 
	unit TEXT DEFAULT '' NOT NULL, 
	verb TEXT DEFAULT '' NOT NULL, 
	state TEXT DEFAULT '' NOT NULL, 
	author TEXT DEFAULT '' NOT NULL, 
	reason TEXT DEFAULT '' NOT NULL, 
	created DOUBLE DEFAULT '0' NOT NULL, 
	begun DOUBLE DEFAULT '0' NOT NULL, 
	ended DOUBLE DEFAULT '0' NOT NULL, 
	"plan" TEXT DEFAULT '' NOT NULL, 
	checkpoint TEXT DEFAULT '' NOT NULL, 
	backup TEXT DEFAULT '' NOT NULL, 
	before_digest TEXT DEFAULT '' NOT NULL, 
	after_digest TEXT DEFAULT '' NOT NULL, 
	receipt TEXT DEFAULT '' NOT NULL, 
	error TEXT DEFAULT '' NOT NULL
);
INSERT INTO "change" VALUES(1,1,'leaf-1','leaf-1','apply','applied','ada','as planned',1800000000.0,1800000001.0,1800000002.0,'{"fingerprint":"f00d","problem":"","risks":[{"forbidden":false,"kind":"uplink","part":"port Ethernet1/1","sentence":"It is an uplink."}],"sent":[{"how":"cli","text":"vlan 20"}],"steps":["VLAN 20: new, name mail"],"switch":"leaf-1"}','sekisho-c1','20270115T080000.000000Z-0123456789ab','before','after','Read again: it is as it should be. Saved.','');
INSERT INTO "change" VALUES(2,2,'leaf-2','leaf-2','apply','running','ada','as planned',1800000003.0,1800000004.0,0.0,'{"fingerprint":"","problem":"","risks":[],"sent":[],"steps":[],"switch":"leaf-2"}','sekisho-c2','','before','','','');
CREATE TABLE exemption (
	number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	scope TEXT DEFAULT '' NOT NULL, 
	reason TEXT DEFAULT '' NOT NULL, 
	author TEXT DEFAULT '' NOT NULL, 
	created DOUBLE DEFAULT '0' NOT NULL, 
	until DOUBLE DEFAULT '0' NOT NULL, 
	policies TEXT DEFAULT '' NOT NULL, 
	revoked DOUBLE DEFAULT '0' NOT NULL
);
INSERT INTO "exemption" VALUES(1,'{"exclude_hosts":[],"exclude_projects":[],"exclude_subjects":[],"exclude_tags":[],"hosts":[],"projects":["mail"],"subjects":[],"tags":[]}','our relays','olga',1800000000.0,0.0,'[]',0.0);
CREATE TABLE journal (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	time DOUBLE DEFAULT '0' NOT NULL, 
	author TEXT DEFAULT '' NOT NULL, 
	verb TEXT DEFAULT '' NOT NULL, 
	restriction BIGINT DEFAULT '0' NOT NULL, 
	subject TEXT DEFAULT '' NOT NULL, 
	reason TEXT DEFAULT '' NOT NULL, 
	detail TEXT DEFAULT '' NOT NULL, 
	revision BIGINT DEFAULT '0' NOT NULL
);
INSERT INTO "journal" VALUES(1,1800000000.0,'policy:outgoing-spam','impose',1,'port-a','spam','{"actions":[{"direction":"egress","first_port":25,"kind":"drop","last_port":25,"protocol":"tcp"},{"burst":0,"direction":"ingress","kind":"police","rate":10000000}],"duration":86400.0,"evidence":{"collector":"c1","confidence":0.95,"exporters":["192.0.2.1"],"findings":[{"detector":"smtp-connections","estimate":300.0,"lower":280.0,"samples":300,"threshold":60.0,"unit":"count","upper":320.0,"window":60}],"first_seen":0.0,"policy":"outgoing-spam","subject":"port-a","top_destinations":[{"amount":7,"name":"192.0.2.9"}],"top_ports":[],"window_end":1800000000.0,"window_start":1799999940.0},"offence":1,"policy":"outgoing-spam","until":1800086400.0}',1);
INSERT INTO "journal" VALUES(2,1799999900.0,'policy:heavy-use','impose',2,'port-b','too much','{"actions":[],"duration":60.0,"evidence":null,"offence":1,"policy":"heavy-use","until":1799999960.0}',2);
INSERT INTO "journal" VALUES(3,1800000000.0,'guard','propose',3,'port-c','spam','{"actions":[{"direction":"egress","first_port":25,"kind":"drop","last_port":25,"protocol":"tcp"}],"duration":3600.0,"evidence":{"collector":"c1","confidence":0.95,"exporters":["192.0.2.1"],"findings":[{"detector":"smtp-connections","estimate":300.0,"lower":280.0,"samples":300,"threshold":60.0,"unit":"count","upper":320.0,"window":60}],"first_seen":0.0,"policy":"outgoing-spam","subject":"port-a","top_destinations":[{"amount":7,"name":"192.0.2.9"}],"top_ports":[],"window_end":1800000000.0,"window_start":1799999940.0},"offence":1,"policy":"outgoing-spam","until":0.0}',3);
INSERT INTO "journal" VALUES(4,1800000000.0,'olga','impose',4,'port-d','called us','{"actions":[{"direction":"egress","first_port":25,"kind":"drop","last_port":25,"protocol":"tcp"}],"duration":3600.0,"evidence":null,"offence":1,"policy":"","until":1800003600.0}',4);
INSERT INTO "journal" VALUES(5,1800000000.0,'keeper','expire',2,'port-b','Its time was over.','',5);
INSERT INTO "journal" VALUES(6,1800000001.0,'olga','lift',4,'port-d','sorry','',6);
INSERT INTO "journal" VALUES(7,1800000002.0,'h1','receipt',1,'port-a','In force on h1.','{"dropped_bytes":120400,"dropped_packets":1204,"host":"h1","in_force":true,"problem":"","restriction":"r1","subject":"port-a","time":1800000001.0}',6);
INSERT INTO "journal" VALUES(8,1800000000.0,'ada','token',0,'','olga','{"created":1800000000.0,"host":"","id":"t1","name":"olga","role":"operator","until":0.0}',6);
INSERT INTO "journal" VALUES(9,1800000000.0,'olga','exempt',0,'','our relays','{"author":"olga","created":1800000000.0,"id":"x1","policies":[],"reason":"our relays","scope":{"exclude_hosts":[],"exclude_projects":[],"exclude_subjects":[],"exclude_tags":[],"hosts":[],"projects":["mail"],"subjects":[],"tags":[]},"until":0.0}',7);
INSERT INTO "journal" VALUES(10,1800000000.0,'ada','switch-apply',0,'','as planned','{"change": "c1", "rollout": "o1", "switch": "leaf-1", "what": "want"}',7);
INSERT INTO "journal" VALUES(11,1800000001.0,'ada','switch-apply',0,'','as planned','{"change": "c1", "rollout": "o1", "switch": "leaf-1", "what": "begin", "plan": "f00d", "checkpoint": "sekisho-c1"}',7);
INSERT INTO "journal" VALUES(12,1800000002.0,'ada','switch-apply',0,'','as planned','{"change": "c1", "rollout": "o1", "switch": "leaf-1", "what": "applied", "plan": "f00d", "checkpoint": "sekisho-c1"}',7);
INSERT INTO "journal" VALUES(13,1800000003.0,'ada','switch-apply',0,'','as planned','{"change": "c2", "rollout": "o2", "switch": "leaf-2", "what": "want"}',7);
INSERT INTO "journal" VALUES(14,1800000004.0,'ada','switch-apply',0,'','as planned','{"change": "c2", "rollout": "o2", "switch": "leaf-2", "what": "begin", "checkpoint": "sekisho-c2"}',7);
INSERT INTO "journal" VALUES(15,1800000000.0,'octavia','balancer-put',0,'lb1','','{"enabled":true,"flavor":{},"id":"lb1","listeners":[{"cidrs":[],"enabled":true,"id":"lb1-l","kind":"listeners","limit":-1,"name":"","pool":"lb1-p","port":80,"protocol":"TCP"}],"name":"","pools":[{"algorithm":"ROUND_ROBIN","enabled":true,"granularity":"","id":"lb1-p","kind":"pools","members":[{"address":"10.1.0.11","backup":false,"enabled":true,"id":"lb1-m1","kind":"members","monitor_address":"","monitor_port":0,"name":"","port":80,"subnet":"","weight":1},{"address":"10.1.0.12","backup":false,"enabled":true,"id":"lb1-m2","kind":"members","monitor_address":"","monitor_port":0,"name":"","port":80,"subnet":"","weight":1}],"monitor":{"check":"TCP","delay":5,"domain":"","enabled":true,"expected":"200","fall":3,"http_version":"","id":"lb1-h","kind":"healthmonitors","method":"GET","path":"/","rise":3,"timeout":5},"name":"","persistence":0,"protocol":"TCP"}],"project":"acme","provider":"lvs","vip":{"address":"10.1.0.100","cidr":"10.1.0.0/24","gateway":"","mac":"","network":"","port":"","subnet":""},"zone":""}',8);
INSERT INTO "journal" VALUES(16,1800000000.0,'keeper','balancer-carry',0,'lb1','','{"devices":["d1"],"revision":8}',9);
INSERT INTO "journal" VALUES(17,1800000000.0,'octavia','balancer-delete',0,'lb1','','{"members":"lb1-m2"}',10);
CREATE TABLE letter (
	number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	channel TEXT DEFAULT '' NOT NULL, 
	recipient TEXT DEFAULT '' NOT NULL, 
	title TEXT DEFAULT '' NOT NULL, 
	body TEXT DEFAULT '' NOT NULL, 
	payload TEXT DEFAULT '' NOT NULL, 
	state TEXT DEFAULT '' NOT NULL, 
	problem TEXT DEFAULT '' NOT NULL, 
	notices BIGINT DEFAULT '0' NOT NULL, 
	attempts BIGINT DEFAULT '0' NOT NULL, 
	created DOUBLE DEFAULT '0' NOT NULL, 
	due DOUBLE DEFAULT '0' NOT NULL, 
	ended DOUBLE DEFAULT '0' NOT NULL
);
INSERT INTO "letter" VALUES(1,'noc','','port-a is limited','a line','{"count":1,"notices":[]}','sent','',1,1,1800000000.0,1800000000.0,1800000001.0);
INSERT INTO "letter" VALUES(2,'customers','ada@example.net','Notice','a line','','dead','nobody answered',1,1,1800000000.0,1800000000.0,1800000002.0);
CREATE TABLE memory (
	name TEXT NOT NULL, 
	value TEXT DEFAULT '' NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "memory" VALUES('app.clock','mark');
INSERT INTO "memory" VALUES('projects','seen');
INSERT INTO "memory" VALUES('balancers.told','9');
INSERT INTO "memory" VALUES('notices.noc','{"line": 17, "conditions": {}}');
CREATE TABLE project (
	id TEXT NOT NULL, 
	seen DOUBLE DEFAULT '0' NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "project" VALUES('p1',1.0);
INSERT INTO "project" VALUES('p2',1800000003.0);
CREATE TABLE receipt (
	restriction BIGINT NOT NULL, 
	host TEXT NOT NULL, 
	in_force BOOLEAN NOT NULL, 
	time DOUBLE DEFAULT '0' NOT NULL, 
	packets BIGINT DEFAULT '0' NOT NULL, 
	bytes BIGINT DEFAULT '0' NOT NULL, 
	problem TEXT DEFAULT '' NOT NULL, 
	PRIMARY KEY (restriction, host)
);
INSERT INTO "receipt" VALUES(1,'h1',1,1800000001.0,1204,120400,'');
CREATE TABLE request (
	author TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	fingerprint TEXT DEFAULT '' NOT NULL, 
	answer TEXT DEFAULT '' NOT NULL, 
	created DOUBLE DEFAULT '0' NOT NULL, 
	PRIMARY KEY (author, "key")
);
INSERT INTO "request" VALUES('policy:outgoing-spam','k','918827508672e1894160d1453aa982f91e876c9da02811390fb5bf5706257489','{"actions":[{"direction":"egress","first_port":25,"kind":"drop","last_port":25,"protocol":"tcp"},{"burst":0,"direction":"ingress","kind":"police","rate":10000000}],"author":"policy:outgoing-spam","automatic":true,"created":1800000000.0,"dropped_bytes":0,"dropped_packets":0,"duration":86400.0,"ended":0.0,"evidence":{"collector":"c1","confidence":0.95,"exporters":["192.0.2.1"],"findings":[{"detector":"smtp-connections","estimate":300.0,"lower":280.0,"samples":300,"threshold":60.0,"unit":"count","upper":320.0,"window":60}],"first_seen":0.0,"policy":"outgoing-spam","subject":"port-a","top_destinations":[{"amount":7,"name":"192.0.2.9"}],"top_ports":[],"window_end":1800000000.0,"window_start":1799999940.0},"host":"h1","id":"r1","in_force":0.0,"offence":1,"policy":"outgoing-spam","project":"p1","reason":"spam","revision":1,"state":"active","subject":"port-a","until":1800086400.0}',1800000000.0);
CREATE TABLE restriction (
	number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	subject TEXT DEFAULT '' NOT NULL, 
	policy TEXT DEFAULT '' NOT NULL, 
	actions TEXT DEFAULT '' NOT NULL, 
	binds BOOLEAN NOT NULL, 
	reason TEXT DEFAULT '' NOT NULL, 
	author TEXT DEFAULT '' NOT NULL, 
	state TEXT DEFAULT '' NOT NULL, 
	created DOUBLE DEFAULT '0' NOT NULL, 
	until DOUBLE DEFAULT '0' NOT NULL, 
	duration DOUBLE DEFAULT '0' NOT NULL, 
	revision BIGINT DEFAULT '0' NOT NULL, 
	automatic BOOLEAN NOT NULL, 
	offence INTEGER DEFAULT '1' NOT NULL, 
	project TEXT DEFAULT '' NOT NULL, 
	host TEXT DEFAULT '' NOT NULL, 
	evidence TEXT, 
	ended DOUBLE DEFAULT '0' NOT NULL, 
	in_force DOUBLE DEFAULT '0' NOT NULL, 
	dropped_packets BIGINT DEFAULT '0' NOT NULL, 
	dropped_bytes BIGINT DEFAULT '0' NOT NULL
);
INSERT INTO "restriction" VALUES(1,'port-a','outgoing-spam','[{"direction":"egress","first_port":25,"kind":"drop","last_port":25,"protocol":"tcp"},{"burst":0,"direction":"ingress","kind":"police","rate":10000000}]',1,'spam','policy:outgoing-spam','active',1800000000.0,1800086400.0,86400.0,1,1,1,'p1','h1','{"collector":"c1","confidence":0.95,"exporters":["192.0.2.1"],"findings":[{"detector":"smtp-connections","estimate":300.0,"lower":280.0,"samples":300,"threshold":60.0,"unit":"count","upper":320.0,"window":60}],"first_seen":0.0,"policy":"outgoing-spam","subject":"port-a","top_destinations":[{"amount":7,"name":"192.0.2.9"}],"top_ports":[],"window_end":1800000000.0,"window_start":1799999940.0}',0.0,1800000001.0,1204,120400);
INSERT INTO "restriction" VALUES(2,'port-b','heavy-use','[]',0,'too much','policy:heavy-use','expired',1799999900.0,1799999960.0,60.0,5,1,1,'','',NULL,1800000000.0,0.0,0,0);
INSERT INTO "restriction" VALUES(3,'port-c','outgoing-spam','[{"direction":"egress","first_port":25,"kind":"drop","last_port":25,"protocol":"tcp"}]',1,'spam','guard','proposed',1800000000.0,0.0,3600.0,3,1,1,'','','{"collector":"c1","confidence":0.95,"exporters":["192.0.2.1"],"findings":[{"detector":"smtp-connections","estimate":300.0,"lower":280.0,"samples":300,"threshold":60.0,"unit":"count","upper":320.0,"window":60}],"first_seen":0.0,"policy":"outgoing-spam","subject":"port-a","top_destinations":[{"amount":7,"name":"192.0.2.9"}],"top_ports":[],"window_end":1800000000.0,"window_start":1799999940.0}',0.0,0.0,0,0);
INSERT INTO "restriction" VALUES(4,'port-d','','[{"direction":"egress","first_port":25,"kind":"drop","last_port":25,"protocol":"tcp"}]',1,'called us','olga','lifted',1800000000.0,1800003600.0,3600.0,6,0,1,'','',NULL,1800000001.0,0.0,0,0);
CREATE TABLE revision (
	id INTEGER NOT NULL, 
	value BIGINT DEFAULT '0' NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "revision" VALUES(1,10);
CREATE TABLE token (
	number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	name TEXT DEFAULT '' NOT NULL, 
	role TEXT DEFAULT '' NOT NULL, 
	host TEXT DEFAULT '' NOT NULL, 
	hash TEXT NOT NULL, 
	created DOUBLE DEFAULT '0' NOT NULL, 
	until DOUBLE DEFAULT '0' NOT NULL, 
	revoked DOUBLE DEFAULT '0' NOT NULL, 
	UNIQUE (hash)
);
INSERT INTO "token" VALUES(1,'olga','operator','','ed89259fe53258b0a2ee1583224a2aa2cf1102f3392c5e255a1c6a04eb968edf',1800000000.0,0.0,0.0);
CREATE UNIQUE INDEX restriction_one_active ON restriction (subject, policy) WHERE state = 'active' AND policy <> '';
CREATE UNIQUE INDEX restriction_one_proposed ON restriction (subject, policy) WHERE state = 'proposed' AND policy <> '';
CREATE INDEX restriction_by_state ON restriction (state, until);
CREATE INDEX restriction_by_subject ON restriction (subject, number);
CREATE INDEX restriction_by_revision ON restriction (revision);
CREATE INDEX restriction_by_creation ON restriction (created);
CREATE INDEX journal_by_restriction ON journal (restriction, id);
CREATE INDEX journal_by_subject ON journal (subject, id);
CREATE TRIGGER journal_no_update BEFORE UPDATE ON journal BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER journal_no_delete BEFORE DELETE ON journal BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE INDEX request_by_creation ON request (created);
CREATE UNIQUE INDEX change_one_open ON change (switch) WHERE state IN ('waiting', 'running');
CREATE INDEX change_by_switch ON change (switch, number);
CREATE INDEX change_by_rollout ON change (rollout, number);
CREATE INDEX change_by_state ON change (state, number);
CREATE INDEX balancer_standing_by_balancer ON balancer_standing (balancer);
CREATE INDEX letter_by_state ON letter (state, channel, due);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('restriction',4);
INSERT INTO "sqlite_sequence" VALUES('journal',17);
INSERT INTO "sqlite_sequence" VALUES('token',1);
INSERT INTO "sqlite_sequence" VALUES('exemption',1);
INSERT INTO "sqlite_sequence" VALUES('change',2);
INSERT INTO "sqlite_sequence" VALUES('letter',2);
COMMIT;
