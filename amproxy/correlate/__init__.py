"""Alert → group → notification."""
