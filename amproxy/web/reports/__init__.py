"""Insights and deliveries."""
