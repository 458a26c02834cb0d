package tsm

// Handler is what Serve serves.
var Handler = handler

// Awaiting is Await with what opens the client.
var Awaiting = await
