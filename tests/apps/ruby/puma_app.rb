# Puma's own server with a Rack application; Net::HTTP keeps one connection per thread.

require 'net/http'
require 'puma'
require 'puma/server'
require 'puma/events'
require_relative 'workload'

def call(url, headers)
  uri = URI(url)
  http = Thread.current[:http] ||= Net::HTTP.new(uri.host, uri.port).tap { |new| new.keep_alive_timeout = 60 }
  http.start unless http.started?
  http.get(uri.request_uri, headers).value
end

# One write for one line.
def log(line)
  $stdout.syswrite("#{line}\n")
end

def step(job, n)
  call(job.url(n), job.headers)
  log(job.line(n)) if n <= 2
end

def serve(job)
  log(job.line(0))
  numbers = (1..job.calls)
  if job.parallel
    numbers.map { |n| Thread.new { step(job, n) } }.each(&:join)
  else
    numbers.each { |n| step(job, n) }
  end
  (([job.calls, 2].min + 1)..3).each { |k| log(job.line(k)) }
end

app = lambda do |env|
  next [200, {}, []] if env['PATH_INFO'] != '/work'

  serve(Work.new(env['QUERY_STRING'], env['HTTP_TRACEPARENT']))
  [200, { 'Content-Type' => 'text/plain' }, ["done\n"]]
end

def background
  (1..).each do |n|
    sleep(BACKGROUND_SECONDS)
    call(background_url(n), {})
    log(background_line(n))
  end
end

threads = ENV.fetch('THREADS', '16').to_i
server = Puma::Server.new(app, Puma::Events.null, min_threads: threads, max_threads: threads)
server.add_tcp_listener('127.0.0.1', ENV.fetch('PORT', '0').to_i)
running = server.run
log("ready #{server.connected_ports.first}")
Thread.new { background } if BACKGROUND_SECONDS.positive?
running.join
