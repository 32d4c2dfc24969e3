"""Files of other hosts, read for what they mean here."""
