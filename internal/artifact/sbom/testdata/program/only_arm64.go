package main

import "github.com/google/go-containerregistry/pkg/name"

var only = name.DefaultRegistry
