-- The same as nbody.repy.
local function body(x, y, z, u, v, w, mass)
  return { x = x, y = y, z = z, u = u, v = v, w = w, mass = mass }
end

local function system()
  local bodies = { body(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 39.5) }
  for k = 1, 4 do
    bodies[#bodies + 1] = body(4.1 * k, -1.1 * k, 0.1 * k, 0.6 / k, 2.8 / k, -0.02 * k, 0.04 / (k * k))
  end
  return bodies
end

local function advance(bodies, step)
  local n = #bodies
  for i = 1, n do
    local a = bodies[i]
    for j = i + 1, n do
      local b = bodies[j]
      local dx = a.x - b.x
      local dy = a.y - b.y
      local dz = a.z - b.z
      local square = dx * dx + dy * dy + dz * dz
      local pull = step / (square * square ^ 0.5)
      local heavy = b.mass * pull
      a.u = a.u - dx * heavy
      a.v = a.v - dy * heavy
      a.w = a.w - dz * heavy
      heavy = a.mass * pull
      b.u = b.u + dx * heavy
      b.v = b.v + dy * heavy
      b.w = b.w + dz * heavy
    end
  end
  for i = 1, n do
    local a = bodies[i]
    a.x = a.x + step * a.u
    a.y = a.y + step * a.v
    a.z = a.z + step * a.w
  end
end

local function energy(bodies)
  local total = 0.0
  for i = 1, #bodies do
    local a = bodies[i]
    total = total + 0.5 * a.mass * (a.u * a.u + a.v * a.v + a.w * a.w)
    for j = i + 1, #bodies do
      local b = bodies[j]
      local dx = a.x - b.x
      local dy = a.y - b.y
      local dz = a.z - b.z
      total = total - a.mass * b.mass / (dx * dx + dy * dy + dz * dz) ^ 0.5
    end
  end
  return total
end

local function run(turns)
  local bodies = system()
  for _ = 1, turns do
    advance(bodies, 0.001)
  end
  return energy(bodies)
end

print(string.format("%.9f", run(50000)))
