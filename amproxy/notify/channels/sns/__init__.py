"""Amazon SNS: groups published to a topic, an endpoint or a phone, and GETs of a subscription."""
