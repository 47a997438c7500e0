"""One file a part: its data sheet, its settings, its driver and its twin. Files do not know each other."""
