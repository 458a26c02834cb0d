// Command program is what the tests put into an image. Each architecture links
// a module that the other does not, so that both binaries must be looked at.
package main

import (
	"fmt"

	"github.com/google/uuid"
)

func main() { fmt.Println(uuid.Nil, &only) }
