"""WeCom (WeChat for companies): groups of alerts as messages of an application."""
