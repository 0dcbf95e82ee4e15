"""Our code inside other people's processes: their events go in, our client and drivers do the rest."""
