"""Go's html/template: templates of pages, whose values are escaped by the place they stand in."""
