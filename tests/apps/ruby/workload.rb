# What the Ruby service does for one request; the other languages have the same module.

require 'json'
require 'securerandom'
require 'uri'

DOWNSTREAM = ENV.fetch('DOWNSTREAM', 'http://127.0.0.1:9')
BACKGROUND_SECONDS = ENV.fetch('BG_MS', '50').to_i / 1000.0
TRACEPARENT = /\A00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}\z/.freeze

def trace_id
  SecureRandom.hex(16)
end

def span_id
  SecureRandom.hex(8)
end

def background_url(number)
  "#{DOWNSTREAM}/bg?n=#{number}"
end

def background_line(number)
  JSON.generate(level: 'info', message: 'tick', bg: number)
end

# One request: its query, its inbound context, and what follows from them.
class Work
  class << self
    # Trace of the request that began last, as a global that a careless library keeps its context in.
    attr_accessor :last
  end

  attr_reader :calls, :parallel

  def initialize(query, traceparent)
    fields = URI.decode_www_form(query).to_h
    @id = fields.fetch('id', 'none')
    @mode = fields.fetch('mode', 'propagate')
    @log = fields.fetch('log', 'linked')
    @calls = fields.fetch('calls', '2').to_i
    @variant = fields.fetch('var', '0').to_i
    @parallel = fields['par'] == '1'
    @inbound = traceparent
    @trace = TRACEPARENT.match(traceparent.to_s)&.captures&.first || trace_id
    @leaked = Work.last || @trace
    Work.last = @trace
  end

  def url(number)
    "#{DOWNSTREAM}/down?id=#{@id}&n=#{number}"
  end

  # Propagation headers of one call.
  def headers
    span = span_id
    case @mode
    when 'propagate' then { 'traceparent' => "00-#{@trace}-#{span}-01" }
    when 'leak' then { 'traceparent' => "00-#{@leaked}-#{span}-01" }
    when 'restart' then { 'traceparent' => "00-#{trace_id}-#{span}-01" }
    when 'forward' then @inbound ? { 'traceparent' => @inbound } : {}
    when 'malformed' then { 'traceparent' => malformed(span) }
    when 'b3' then b3(span)
    else {}
    end
  end

  # Log line k: JSON when k is even, text when it is odd.
  def line(number)
    name, value = field
    if number.even?
      record = { level: 'info', message: 'step', id: @id, k: number }
      return JSON.generate(name ? record.merge(name => value) : record)
    end
    "INFO step id=#{@id} k=#{number}#{" #{name}=#{value}" if name}"
  end

  private

  def field
    case @log
    when 'linked' then ['trace_id', @trace]
    when 'zero' then ['trace_id', '0' * 32]
    when 'decimal' then ['dd.trace_id', @trace[16..].hex.to_s]
    end
  end

  def b3(span)
    return { 'b3' => "#{@trace}-#{span}-1" } if @variant.odd?

    { 'X-B3-TraceId' => @trace, 'X-B3-SpanId' => span, 'X-B3-Sampled' => '1' }
  end

  # A traceparent that breaks one rule of W3C Trace Context level 1, section 3.2.
  def malformed(span)
    kinds = [
      "00-#{@trace[0, 31]}-#{span}-01",
      "00-#{@trace[0, 30].upcase}AB-#{span}-01",
      "ff-#{@trace}-#{span}-01",
      "00-#{'0' * 32}-#{span}-01",
      "00-#{@trace}-#{'0' * 16}-01",
      "00-#{@trace[0, 31]}g-#{span}-01",
      "00-#{@trace}-#{span}",
      "00-#{@trace}-#{span}-01-extra",
    ]
    kinds[@variant % kinds.size]
  end
end
