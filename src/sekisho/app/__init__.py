"""One file per process; introduces the rooms to each other and owns clock, files and environment."""
