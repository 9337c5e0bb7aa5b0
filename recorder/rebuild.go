package recorder

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/readmodel"
)

// RebuildOptions configure [Rebuild].
type RebuildOptions struct {
	// Store is the database whose read models are rebuilt. It has no default.
	Store *readmodel.Store
	// Logger; nil means none.
	Logger *slog.Logger
	// Restart begins anew although an earlier rebuild was not finished.
	Restart bool

	// batch, if not nil, is called before each transaction. A test acts there.
	batch func(readmodel.Progress) error
}

// A Rebuilt is what [Rebuild] did.
type Rebuilt struct {
	// Resumed says that an earlier rebuild was gone on with.
	Resumed       bool `json:"resumed"`
	Conversations int  `json:"conversations"`
	// Kept are conversations whose archive cannot be folded: their rows are as before.
	Kept []Finding     `json:"kept"`
	Took time.Duration `json:"took_ns"`
}

// rebuildConversations bounds what one transaction replaces; a recorder waits
// as long as it takes.
const rebuildConversations = 64

// Rebuild writes all read models again from the archive, conversation by
// conversation, while readers read and a recorder records. Readers see the old
// rows of a conversation or the new ones. The recorder goes on from its
// checkpoint: the two take turns, see [readmodel.Store.Rebuild]. A rebuild that
// died is gone on with where it was.
func Rebuild(ctx context.Context, o RebuildOptions) (*Rebuilt, error) {
	began := time.Now()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	at, err := o.Store.BeginRebuild(ctx, o.Restart)
	if err != nil {
		return nil, err
	}
	r := &Rebuilt{Resumed: at.User != ""}
	if r.Resumed {
		o.Logger.Info("going on with a rebuild", "started_at", at.StartedAt, "conversations", at.Conversations)
	}
	for {
		keys, err := o.Store.KeysAfter(ctx, at, rebuildConversations)
		if err != nil {
			return nil, err
		}
		if len(keys) == 0 {
			break
		}
		if o.batch != nil {
			if err := o.batch(at); err != nil {
				return nil, err
			}
		}
		if at, err = rebuild(ctx, o, r, at, keys); err != nil {
			return nil, err
		}
	}
	if err := o.Store.EndRebuild(ctx, at); err != nil {
		return nil, err
	}
	r.Conversations, r.Took = at.Conversations, time.Since(began)
	return r, nil
}

func rebuild(ctx context.Context, o RebuildOptions, r *Rebuilt, at readmodel.Progress, keys []readmodel.ConversationKey) (readmodel.Progress, error) {
	var refs []events.Ref
	for _, k := range keys {
		ref, err := events.NewRef(events.UserID(k.User), events.ConversationID(k.Conversation))
		if err == nil { // else no recorder wrote this: its rows go
			refs = append(refs, ref)
		}
	}
	folds, err := o.Store.Unsaved(ctx, refs)
	if err != nil {
		return at, fmt.Errorf("rebuild: %w", err)
	}
	if at, err = o.Store.Rebuild(ctx, at, keys, folds); err != nil {
		return at, err
	}
	for _, f := range folds {
		if f.Broken != nil && !errors.Is(f.Broken, readmodel.ErrErased) {
			o.Logger.Error("read models kept: the archive cannot be folded", "conversation_id", f.ConversationID, "err", f.Broken)
			if len(r.Kept) < listed {
				r.Kept = append(r.Kept, Finding{Table: "archive", UserID: string(f.UserID), ConversationID: string(f.ConversationID), Detail: f.Broken.Error()})
			}
		}
	}
	return at, nil
}
