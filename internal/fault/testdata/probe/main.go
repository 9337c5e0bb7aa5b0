// Command probe passes a fault point three times and tells whether a bug is planted.
package main

import (
	"fmt"

	"github.com/parleychat/parley/internal/fault"
)

func main() {
	for range 3 {
		fault.At(fault.CommitBefore)
	}
	fmt.Println("alive", fault.Planted(fault.AckBeforeCommit))
}
