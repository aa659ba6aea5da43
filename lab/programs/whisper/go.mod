module whisper

go 1.21
