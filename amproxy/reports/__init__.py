"""Reports on stored incidents: why somebody was not paged, insights into a period, exports.

Pure functions. What was stored is reported as it was; for the rest today's file is consulted, and
the text says so.
"""
