-- Stands before each of the other scripts (wire.py). Redis does not undo a script that fails half-way,
-- so a script asks for all that may be refused before it writes anything.

local TYPES = {
  HSET = 'hash', HSETNX = 'hash', HINCRBY = 'hash', HDEL = 'hash', HGET = 'hash', HMGET = 'hash',
  ZADD = 'zset', ZREM = 'zset', ZREMRANGEBYSCORE = 'zset', ZREMRANGEBYRANK = 'zset',
  ZCARD = 'zset', ZRANGE = 'zset', XADD = 'stream', XACK = 'stream', XDEL = 'stream',
  XCLAIM = 'stream', RPUSH = 'list', LPUSH = 'list', LTRIM = 'list', SADD = 'set', SREM = 'set',
  GET = 'string', INCR = 'string', DECR = 'string',
}

-- Raise the error that a command would meet at a key that somebody has given another type.
local function check_type(command, key)
  local kind = TYPES[command] and redis.pcall('TYPE', key).ok
  if kind and kind ~= 'none' and kind ~= TYPES[command] then
    return error({err = 'WRONGTYPE ' .. key .. ' is a ' .. kind})
  end
end

-- As `check_type`, and where the user in Redis may not use the command.
local function check(...)
  local command, key = ...
  -- Redis 7 and later know the first
  if redis.acl_check_cmd and not redis.acl_check_cmd(...) then
    return error({err = 'NOPERM this user has no permission to run ' .. command})
  end
  check_type(command, key)
end

