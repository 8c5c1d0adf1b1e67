"""What will happen, before it happens: who is on call, whom an alert would page, and when.

It runs the service's own functions under a virtual clock; it prints nothing and asks no store.
"""
