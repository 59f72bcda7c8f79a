"""Features that are stored once: what runs make of them, where they come from, and what is refused."""
