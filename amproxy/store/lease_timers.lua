-- Lease due timers: who dies leaves them to come again when the lease is over.
-- KEYS[1]  prefix of the partition
-- ARGV     now (ms), lease (ms), how many at most
-- Returns  a list of name, due, name, due …
local timers = KEYS[1] .. 'timers'
local due = redis.call('ZRANGEBYSCORE', timers, '-inf', ARGV[1], 'WITHSCORES', 'LIMIT', 0, ARGV[3])
for i = 1, #due, 2 do
  redis.call('ZADD', timers, 'XX', ARGV[1] + ARGV[2], due[i])
end
return due
