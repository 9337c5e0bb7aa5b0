package readmodel

import "fmt"

// PersonWords is the query by which a search finds its rows.
func PersonWords(args string) string { return fmt.Sprintf(personWords, args) }

// CountOpen and SelectLate are the queries whose plan a test looks at.
const (
	CountOpen  = countOpen
	SelectLate = selectLate
)
