package main

import "golang.org/x/sync/errgroup"

var only errgroup.Group
