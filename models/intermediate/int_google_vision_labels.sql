{{ label_store('google_vision') }}
