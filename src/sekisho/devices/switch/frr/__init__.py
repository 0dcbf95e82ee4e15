"""FRRouting by its own shell, vtysh: steps in, command lines out; its running configuration in, State out."""
