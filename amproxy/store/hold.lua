-- Decide whether a page goes out by itself or is held: a held page leaves the outbox and waits,
-- with a timer, to be bundled with others.
-- KEYS[1]  prefix of the partition
-- ARGV     key of the storm, page id, now (ms), within (ms), more_than, longest wait (ms),
--          consumer group, entry, OutgoingMessage, consumer
-- Returns  0 it goes out, 1 it is held (or another process has the entry)
local prefix, key, page = KEYS[1], ARGV[1], ARGV[2]
local now, within, most = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local storm, outbox = prefix .. 'storm:' .. key, prefix .. 'outbox'

-- What another process has by now, or has held already, is its to decide.
local owned = redis.call('XPENDING', outbox, ARGV[7], ARGV[8], ARGV[8], 1)[1]
if not owned or owned[2] ~= ARGV[10] then return 1 end
-- another attempt at a page that was let out is not counted twice
if redis.call('ZSCORE', storm, page) then return 0 end
check('ZREMRANGEBYSCORE', storm, '-inf', '0')
check('ZCARD', storm)
check('ZRANGE', storm, '0', '0')
check('ZADD', storm, '0', page)
check('ZREMRANGEBYRANK', storm, '0', '-1')
check('PEXPIRE', storm, '1')
check('XACK', outbox, ARGV[7], ARGV[8])
check('XDEL', outbox, ARGV[8])
check('HDEL', prefix .. 'begun', ARGV[8])
check('RPUSH', prefix .. 'held:' .. key, '')
check('ZADD', prefix .. 'timers', '0', '')

redis.call('ZREMRANGEBYSCORE', storm, '-inf', now - within)
local before = redis.call('ZCARD', storm)
local oldest = redis.call('ZRANGE', storm, 0, 0, 'WITHSCORES')[2]
redis.call('ZADD', storm, now, page)
-- only the latest matter: as many as may go out one by one
redis.call('ZREMRANGEBYRANK', storm, 0, -1 - most)
redis.call('PEXPIRE', storm, within)
if before < most then return 0 end

redis.call('XACK', outbox, ARGV[7], ARGV[8])
redis.call('XDEL', outbox, ARGV[8])
redis.call('HDEL', prefix .. 'begun', ARGV[8])
redis.call('RPUSH', prefix .. 'held:' .. key, ARGV[9])
-- NX: the first page of a bundle sets how long it waits; later ones must not put it off
local due = math.min(now + ARGV[6], oldest + within)
redis.call('ZADD', prefix .. 'timers', 'NX', string.format('%d', due), 'bundle:' .. key)
return 1
