namespace LmcDsl.Tool

open System.IO

/// A stream that tells how many bytes were written to another.
type Counted(inner: Stream, tell: int64 -> unit) =
    inherit Stream()
    let mutable written = 0L

    let add (count: int) =
        written <- written + int64 count
        tell written

    override _.CanRead = inner.CanRead
    override _.CanSeek = inner.CanSeek
    override _.CanWrite = inner.CanWrite
    override _.Length = inner.Length

    override _.Position
        with get () = inner.Position
        and set value = inner.Position <- value

    override _.Flush() = inner.Flush()
    override _.Seek(offset, origin) = inner.Seek(offset, origin)
    override _.SetLength value = inner.SetLength value
    override _.Read(buffer: byte[], offset: int, count: int) = inner.Read(buffer, offset, count)

    override _.Write(buffer: byte[], offset: int, count: int) : unit =
        inner.Write(buffer, offset, count)
        add count

    override _.Write(buffer: System.ReadOnlySpan<byte>) : unit =
        inner.Write buffer
        add buffer.Length
