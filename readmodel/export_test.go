package readmodel

import "fmt"

// PersonWords is the query by which a search finds its rows.
func PersonWords(args string) string { return fmt.Sprintf(personWords, args) }
