"""Schedules towards the past and towards people: who was on call is written down, and people are told what concerns them."""
