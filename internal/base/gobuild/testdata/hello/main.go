// Command hello stands for the key service in this package's tests.
package main

import "fmt"

func main() { fmt.Println("hello") }
