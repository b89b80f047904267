"""The venue as an event-sourced state machine: a command is decided into events, and the state is the fold of them.

Pure and single-threaded: the clock, ids, chance and prices are inputs, and nothing here reads or writes a file, a
socket or a log. The same commands give the same bytes on every machine.
"""
