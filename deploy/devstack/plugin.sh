#!/bin/bash
# Sekisho in DevStack: a keeper, a collector, the plugin in Neutron's server, the extension in its
# Open vSwitch agent. In local.conf, for ML2 with the Open vSwitch agent:
#
#     enable_plugin sekisho GITURL [GITREF]
#     enable_service sekisho-keeper sekisho-collector      # the default
#
# What can be set is in settings.

_SEKISHO_XTRACE=$(set +o | grep xtrace)
set +o xtrace

function _sekisho_is_agent {
    is_service_enabled q-agt neutron-agent && [[ "$Q_AGENT" == "openvswitch" ]]
}

function install_sekisho {
    python3 -m venv "$SEKISHO_VENV"
    "$SEKISHO_VENV/bin/pip" install --require-hashes --no-deps -r "$SEKISHO_DIR/requirements.lock"
    "$SEKISHO_VENV/bin/pip" install --no-deps --no-build-isolation -e "$SEKISHO_DIR"
    # Into Neutron's own environment: no dependency, so nothing of Neutron's changes.
    pip_install --no-deps -e "$SEKISHO_DIR"
}

function configure_sekisho {
    sudo install -d -o "$STACK_USER" "$SEKISHO_CONF_DIR" "$SEKISHO_CONF_DIR/policies"
    sudo install -d -m 700 -o "$STACK_USER" "$SEKISHO_STATE" "$SEKISHO_TOKENS"
    cp "$SEKISHO_DIR"/policies/*.toml "$SEKISHO_CONF_DIR/policies/"
    (umask 077 && printf '%s' "$SERVICE_PASSWORD" >"$SEKISHO_CONF_DIR/keystone-password")
    cat >"$SEKISHO_CONF_DIR/sekisho.toml" <<EOF
[client]
url = "$SEKISHO_URL"
token_file = "$SEKISHO_TOKENS/collector"

[keeper]
state = "$SEKISHO_STATE"
policies = "$SEKISHO_CONF_DIR/policies"

[keeper.api]
host = "$SEKISHO_HOST"
port = $SEKISHO_PORT

[keeper.cloud]
name = "devstack-admin"
file = "/etc/openstack/clouds.yaml"

[keeper.keystone]
url = "$KEYSTONE_SERVICE_URI/v3"
user = "sekisho"
user_domain = "$SERVICE_DOMAIN_NAME"
project = "$SERVICE_PROJECT_NAME"
project_domain = "$SERVICE_DOMAIN_NAME"
secret_file = "$SEKISHO_CONF_DIR/keystone-password"

[collector]
name = "devstack"

[collector.receive]
host = "$SEKISHO_HOST"
ports = [$SEKISHO_COLLECTOR_PORT]
EOF
    "$SEKISHO_VENV/bin/sekisho" config check --config "$SEKISHO_CONF_DIR/sekisho.toml"
}

function start_sekisho_keeper {
    run_process sekisho-keeper "$SEKISHO_VENV/bin/sekisho keeper --config $SEKISHO_CONF_DIR/sekisho.toml"
    if ! wait_for_service "$SERVICE_TIMEOUT" "$SEKISHO_URL/healthz"; then
        die $LINENO "the keeper did not start"
    fi
    _sekisho_token neutron cloud
    _sekisho_token agent agent
    _sekisho_token collector agent
}

# Make a token once and keep it in a file.
function _sekisho_token {
    local name=$1 role=$2 file=$SEKISHO_TOKENS/$1
    if [[ ! -s "$file" ]]; then
        SEKISHO_URL=$SEKISHO_URL SEKISHO_TOKEN_FILE=$SEKISHO_STATE/tokens/admin \
            "$SEKISHO_VENV/bin/sekisho" token create "devstack-$name" --role "$role" --save "$file"
    fi
}

function configure_sekisho_server {
    neutron_service_plugin_class_add sekisho
    iniset "$NEUTRON_CONF" sekisho keeper_url "$SEKISHO_URL"
    iniset "$NEUTRON_CONF" sekisho token_file "$SEKISHO_TOKENS/neutron"
}

function configure_sekisho_agent {
    local file=/$NEUTRON_CORE_PLUGIN_CONF extensions
    # For whoever writes the list after us, and in the file for when nobody does.
    plugin_agent_add_l2_agent_extension sekisho
    extensions=$(iniget "$file" agent extensions)
    if [[ ,$extensions, != *,sekisho,* ]]; then
        iniset "$file" agent extensions "${extensions:+$extensions,}sekisho"
    fi
    iniset "$file" sekisho keeper_url "$SEKISHO_URL"
    iniset "$file" sekisho token_file "$SEKISHO_TOKENS/agent"
    iniset "$file" sekisho state_path "$DATA_DIR/neutron/sekisho"
    iniset "$file" sekisho telemetry_protocol "$SEKISHO_TELEMETRY"
    iniset "$file" sekisho telemetry_target "$SEKISHO_HOST:$SEKISHO_COLLECTOR_PORT"
    iniset "$file" sekisho telemetry_sampling "$SEKISHO_SAMPLING"
    iniset "$file" sekisho telemetry_addresses "$SEKISHO_ADDRESSES"
}

# Let the keeper ask Keystone about tokens, and people find the keeper in the catalogue.
function create_sekisho_accounts {
    create_service_user sekisho
    get_or_create_service sekisho traffic-checkpoint "Sekisho, the traffic checkpoint"
    get_or_create_endpoint traffic-checkpoint "$REGION_NAME" "$SEKISHO_URL"
}

function cleanup_sekisho {
    # Needs no settings file: a node that only computes has none.
    if _sekisho_is_agent && [[ -x "$SEKISHO_VENV/bin/python" ]]; then
        sudo "$SEKISHO_VENV/bin/python" -m sekisho.host.clear --bridge "${OVS_BRIDGE:-br-int}" || true
    fi
    sudo rm -rf "$SEKISHO_CONF_DIR" "$SEKISHO_STATE" "$SEKISHO_VENV" "$DATA_DIR/neutron/sekisho"
}

case "$1/$2" in
    stack/install)
        install_sekisho
        ;;
    stack/post-config)
        if is_service_enabled sekisho-keeper; then
            configure_sekisho
            create_sekisho_accounts
            start_sekisho_keeper
        fi
        if is_service_enabled q-svc neutron-api; then
            configure_sekisho_server
        fi
        if _sekisho_is_agent; then
            configure_sekisho_agent
        fi
        ;;
    stack/extra)
        run_process sekisho-collector \
            "$SEKISHO_VENV/bin/sekisho collector --config $SEKISHO_CONF_DIR/sekisho.toml"
        ;;
    unstack/)
        stop_process sekisho-collector
        stop_process sekisho-keeper
        ;;
    clean/)
        cleanup_sekisho
        ;;
esac

$_SEKISHO_XTRACE
