"""The moves of projects in the library's table.

    pk wsp_…  sk move#prj_…      of the source: where the project goes or went, and how far the move is

Everything that belongs to a project leaves the source's partition and comes into the target's in transactions that also
write this record, so each item is at one side at any time and two processes cannot move the same page. The table's
stream continues a move for each of its record's writes.
"""
