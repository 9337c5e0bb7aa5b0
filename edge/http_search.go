package edge

import (
	"net/http"
	"strings"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/readmodel"
)

// search answers where something was said.
func (c *call) search() error {
	q, err := c.text("q")
	if err != nil {
		return err
	}
	if strings.TrimSpace(q) == "" {
		return badRequest("Say in q what to search for.")
	}
	after, err := c.text("after")
	if err != nil {
		return err
	}
	conversation := events.ConversationID(c.r.URL.Query().Get("conversation_id"))
	if conversation != "" {
		if err := checkID("conversation_id", conversation); err != nil {
			return err
		}
	}
	limit, err := c.limit(20, 50)
	if err != nil {
		return err
	}
	page, err := c.e.o.Queries.Search(c.r.Context(), c.user, readmodel.SearchQuery{Text: q, Conversation: conversation, Limit: limit, After: after})
	if err != nil {
		return queryError(err)
	}
	return c.json(http.StatusOK, page)
}
