"""Which positions to ring-fence and which to pool: begin at ``advise.py``."""
