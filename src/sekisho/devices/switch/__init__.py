"""Make switches what they should be: Intent and what the switch says in, steps and a proven outcome out."""
