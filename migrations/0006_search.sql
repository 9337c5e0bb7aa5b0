-- Search that costs what it finds. The index of words alone holds everybody's: to
-- find a common word of one person it had to be read for all. Here the person
-- goes into the index, before each word, so that one search reads one person's
-- part of it. No column changes: a projection writes what it wrote.

-- +goose Up

-- A person's words as the index keeps them. The cost is what a planner should
-- believe: computing this for each row of a person is the last thing to try.
CREATE FUNCTION person_words(user_id text, words tsvector) RETURNS tsvector
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 1000
    AS $$ SELECT array_to_tsvector(ARRAY(SELECT left(md5(user_id), 8) || w FROM unnest(tsvector_to_array(words)) AS w)) $$;

-- Texts of the person with words that begin with each of these, which are
-- letters and digits only.
CREATE FUNCTION person_query(user_id text, words text[]) RETURNS tsquery
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$ SELECT string_agg('''' || left(md5(user_id), 8) || w || ''':*', ' & ')::tsquery FROM unnest(words) AS w $$;

-- What waits to be sorted into the index is read by every search: little of it.
CREATE INDEX conversation_words_person ON conversation_words USING gin (person_words(user_id, words))
    WITH (gin_pending_list_limit = 256);

-- The release before searches without it, by the key of the person's rows.
DROP INDEX conversation_words_words;

-- +goose Down
CREATE INDEX conversation_words_words ON conversation_words USING gin (words);
DROP INDEX conversation_words_person;
DROP FUNCTION person_query(text, text[]);
DROP FUNCTION person_words(text, tsvector);
