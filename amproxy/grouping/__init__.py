"""Pure decisions: the place of an alert, its muting, the notifications of a flush."""
