{{ label_store('rekognition') }}
