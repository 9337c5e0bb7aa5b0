package eventlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/fault"
)

// Enqueue stores an inbox message. It returns ErrFull if the conversation or
// the stream has no room, and ErrDuplicate if the id was stored before: for a
// retry of the same command that is success.
func (l *Log) Enqueue(ctx context.Context, in *events.Inbox) error {
	ref, err := in.Ref()
	if err != nil {
		return fmt.Errorf("enqueue: %w", err)
	}
	data, err := in.Encode()
	if err != nil {
		return fmt.Errorf("enqueue: %w", err)
	}
	msg := &nats.Msg{Subject: in.Subject(ref), Data: data, Header: headers(in)}
	msg.Header.Set(jetstream.MsgIDHeader, events.UserKey(in.UserID)+":"+in.ID)
	if fault.Planted(fault.DedupeWithoutPerson) {
		msg.Header.Set(jetstream.MsgIDHeader, in.ID)
	}
	return l.publish(ctx, "enqueue", msg)
}

// Dispatch stores a work item; storing it again within the dedupe window is no error.
func (l *Log) Dispatch(ctx context.Context, w *events.WorkItem) error {
	ref, err := w.Ref()
	if err != nil {
		return fmt.Errorf("dispatch: %w", err)
	}
	data, err := w.Encode()
	if err != nil {
		return fmt.Errorf("dispatch: %w", err)
	}
	msg := &nats.Msg{Subject: ref.Work(w.Server), Data: data, Header: nats.Header{
		jetstream.MsgIDHeader: {w.DedupeID()}, events.HeaderID: {string(w.CallID)},
		events.HeaderUser: {string(w.UserID)}, events.HeaderConversation: {string(w.ConversationID)},
	}}
	fault.At(fault.WorkBefore)
	if err := l.publish(ctx, "dispatch", msg); err != nil && !errors.Is(err, ErrDuplicate) {
		return err
	}
	fault.At(fault.WorkAfter)
	return nil
}

// Schedule lets in arrive on the conversation's timer subject at the given
// time; scheduling the same id again replaces the earlier one.
func (l *Log) Schedule(ctx context.Context, id string, at time.Time, in *events.Inbox) error {
	ref, err := in.Ref()
	if err != nil {
		return fmt.Errorf("schedule: %w", err)
	}
	data, err := in.Encode()
	if err != nil {
		return fmt.Errorf("schedule: %w", err)
	}
	msg := &nats.Msg{Subject: ref.TimerAt(id), Data: data, Header: headers(in)}
	fault.At(fault.TimerBefore)
	if err := l.publish(ctx, "schedule", msg, jetstream.WithScheduleAt(at), jetstream.WithScheduleTarget(ref.TimerFired())); err != nil {
		return err
	}
	fault.At(fault.TimerAfter)
	return nil
}

// Fire lets in arrive at once, as a timer of the conversation that has fired.
func (l *Log) Fire(ctx context.Context, in *events.Inbox) error {
	ref, err := in.Ref()
	if err != nil {
		return fmt.Errorf("fire: %w", err)
	}
	data, err := in.Encode()
	if err != nil {
		return fmt.Errorf("fire: %w", err)
	}
	fault.At(fault.FireBefore)
	if err := l.publish(ctx, "fire", &nats.Msg{Subject: ref.TimerFired(), Data: data, Header: headers(in)}); err != nil {
		return err
	}
	fault.At(fault.FireAfter)
	return nil
}

// DeadLetter copies a message that cannot be handled, with the reason, to the
// DLQ stream. The copy's dedupe id is the message's place, so giving it up
// twice stores it once.
func (l *Log) DeadLetter(ctx context.Context, d *Delivery, reason string) error {
	h := nats.Header{}
	for k, v := range d.msg.Header {
		if k != jetstream.MsgIDHeader {
			h[k] = v
		}
	}
	lease := d.Lease()
	h.Set("Parley-Reason", reason)
	h.Set("Parley-Subject", d.Subject())
	h.Set(jetstream.MsgIDHeader, fmt.Sprintf("%s-%d", lease.Stream, lease.Sequence))
	fault.At(fault.DeadLetterBefore)
	err := l.publish(ctx, "dead letter", &nats.Msg{Subject: "dlq." + lease.Stream, Data: d.Data(), Header: h})
	if err != nil && !errors.Is(err, ErrDuplicate) {
		return err
	}
	fault.At(fault.DeadLetterAfter)
	return nil
}

func (l *Log) publish(ctx context.Context, what string, msg *nats.Msg, opts ...jetstream.PublishOpt) error {
	ctx, cancel := context.WithTimeout(ctx, PublishTimeout)
	defer cancel()
	ack, err := l.js.PublishMsg(ctx, msg, append(opts, jetstream.WithRetryAttempts(0))...)
	if err != nil {
		return fmt.Errorf("%s: %w", what, storeError(err))
	}
	if ack.Duplicate {
		return fmt.Errorf("%s: %w", what, ErrDuplicate)
	}
	return nil
}

func headers(in *events.Inbox) nats.Header {
	return nats.Header{
		events.HeaderID:           {in.ID},
		events.HeaderUser:         {string(in.UserID)},
		events.HeaderConversation: {string(in.ConversationID)},
		events.HeaderCommand:      {in.Command.CommandType()},
	}
}
