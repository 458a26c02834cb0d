package tsm

// Handler is what Serve serves.
var Handler = handler
