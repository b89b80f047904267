"""One account through real prices, isolated and cross: begin at ``on_engine.py``; ``report*.py`` draw it."""
