// Command program is what the tests put into an image.
package main

import (
	"fmt"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
)

func main() { fmt.Println(uuid.Nil, &errgroup.Group{}) }
