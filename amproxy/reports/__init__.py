"""What has happened, looked at afterwards: why somebody was not paged, what a span of time was like, the history for others.

Pure functions over stored incidents. What was stored is told as it was; where something was not, today's file is asked, and
the text says so.
"""
