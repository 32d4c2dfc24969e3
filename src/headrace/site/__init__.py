"""What static sites are made of: media types, content codings, names that carry a hash, and the files that hold rules."""
