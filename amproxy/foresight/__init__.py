"""What will happen, before it happens: who is on call, whom an alert would page, and when. The service's own functions under a virtual clock."""
