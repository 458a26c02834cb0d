// Package compose turns docker-compose.yaml into the one form that is hashed,
// and that into dstack's app-compose.json.
//
// Its promise: the compose hash depends on the file and the variables handed
// in, and on nothing else (no folder, environment, umask or time zone);
// whatever could bring in something unhashed is refused; and the bytes are in
// dstack's own normalized form, so that the platform arrives at the same hash.
package compose
