"""A crowd of accounts on one tape under every architecture: begin at ``crowd.py``."""
