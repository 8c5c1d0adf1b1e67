"""Splunk On-Call, once VictorOps: a group of alerts as one entity."""
