"""Write down who was on call, and notify people of their shifts."""
