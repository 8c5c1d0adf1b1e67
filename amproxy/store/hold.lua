-- Decide whether a page goes out by itself or is held, and hold it: it leaves the outbox and waits, with a timer, to be bundled.
-- KEYS[1]  prefix of the partition
-- ARGV     key of the storm, page id, now (ms), within (ms), more_than, longest wait (ms), consumer group, entry, Outgoing
-- Returns  0 it goes out, 1 it is held (or somebody else has dealt with the entry)
local prefix, key, page, now, within, most = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local storm, outbox = prefix .. 'storm:' .. key, prefix .. 'outbox'

-- another attempt at a page that was let out is not counted twice; one that is not pending any more was held for another process
if redis.call('ZSCORE', storm, page) then
  return #redis.call('XPENDING', outbox, ARGV[7], ARGV[8], ARGV[8], 1) == 0 and 1 or 0
end
redis.call('ZREMRANGEBYSCORE', storm, '-inf', now - within)
local before = redis.call('ZCARD', storm)
local oldest = redis.call('ZRANGE', storm, 0, 0, 'WITHSCORES')[2]
redis.call('ZADD', storm, now, page)
-- only the latest matter: as many as may go out one by one
redis.call('ZREMRANGEBYRANK', storm, 0, -1 - most)
redis.call('PEXPIRE', storm, within)
if before < most then return 0 end

if redis.call('XACK', outbox, ARGV[7], ARGV[8]) == 1 then
  redis.call('XDEL', outbox, ARGV[8])
  redis.call('RPUSH', prefix .. 'held:' .. key, ARGV[9])
  local due = math.min(now + ARGV[6], oldest + within)
  redis.call('ZADD', prefix .. 'timers', 'NX', string.format('%d', due), 'bundle:' .. key)
end
return 1
