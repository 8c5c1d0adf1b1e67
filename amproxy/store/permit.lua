-- Permit one send of a message, where this process still has it and no rate limit holds it.
-- KEYS[1]  prefix of the partition
-- ARGV     consumer group, consumer, entry, then the names of its rate limits, narrowest first
-- Returns  {'gone', ''}        another process has the message, or it is finished
--          {'throttled', ms}   the destination wants no message for so long
--          {'permitted', who}  it may be sent; who: the consumer that began to send it before, or ''
local prefix, entry = KEYS[1], ARGV[3]
local held = redis.call('XPENDING', prefix .. 'outbox', ARGV[1], entry, entry, 1)[1]
if not held or held[2] ~= ARGV[2] then return {'gone', ''} end

local wait = 0
for i = 4, #ARGV do
  wait = math.max(wait, redis.call('PTTL', prefix .. 'throttled:' .. ARGV[i]))
end
if wait > 0 then return {'throttled', string.format('%d', wait)} end
check('HGET', prefix .. 'begun', entry)
check('HSET', prefix .. 'begun', entry, '')
for i = 4, #ARGV do
  check('GET', prefix .. 'pace:' .. ARGV[i])
  check('SET', prefix .. 'throttled:' .. ARGV[i], '1')
end
for i = 4, #ARGV do
  -- after a refusal the next messages keep a distance, for all replicas
  local gap = redis.call('GET', prefix .. 'pace:' .. ARGV[i])
  if gap then redis.call('SET', prefix .. 'throttled:' .. ARGV[i], '1', 'PX', gap) end
end
local before = redis.call('HGET', prefix .. 'begun', entry) or ''
redis.call('HSET', prefix .. 'begun', entry, ARGV[2])
return {'permitted', before}
